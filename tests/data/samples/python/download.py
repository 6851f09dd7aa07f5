import requests
import os

server_id = 'd3aac109'
backup_id = 'a4962fe6-90c8-4b89-ba62-a5d3b06426c0'
url = f'https://your-panel.com/api/client/servers/{server_id}/backups/{backup_id}/download'

headers = {
    'Authorization': 'Bearer ptlc_YOUR_API_KEY',
    'Accept': 'Application/vnd.pterodactyl.v1+json',
    'Content-Type': 'application/json'
}

# Get download URL
response = requests.get(url, headers=headers)
download_data = response.json()
download_url = download_data['attributes']['url']

print(f"Download URL generated: {download_url}")
print("URL expires in 1 hour")

# Download the backup file
download_response = requests.get(download_url, stream=True)
filename = f"backup_{backup_id}.tar.gz"

with open(filename, 'wb') as f:
    for chunk in download_response.iter_content(chunk_size=8192):
        f.write(chunk)

print(f"Backup downloaded as: {filename}")
print(f"File size: {os.path.getsize(filename)} bytes")
