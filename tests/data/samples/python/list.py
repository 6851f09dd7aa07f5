import requests

server_id = 'd3aac109'
url = f'https://your-panel.com/api/client/servers/{server_id}/backups'

headers = {
    'Authorization': 'Bearer ptlc_YOUR_API_KEY',
    'Accept': 'Application/vnd.pterodactyl.v1+json',
    'Content-Type': 'application/json'
}

response = requests.get(url, headers=headers)
data = response.json()

for backup in data['data']:
    print(f"Backup: {backup['attributes']['name']}")
    print(f"Size: {backup['attributes']['bytes']} bytes")
    print(f"Status: {'Successful' if backup['attributes']['is_successful'] else 'Failed'}")
    print("---")
