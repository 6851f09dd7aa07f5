const serverId = 'd3aac109';

const response = await fetch(`https://your-panel.com/api/client/servers/${serverId}/backups`, {
    method: 'GET',
    headers: {
        'Authorization': 'Bearer ptlc_YOUR_API_KEY',
        'Accept': 'Application/vnd.pterodactyl.v1+json',
        'Content-Type': 'application/json'
    }
});

const data = await response.json();
console.log('Server backups:', data.data);
