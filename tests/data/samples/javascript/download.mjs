const serverId = 'd3aac109';
const backupId = 'a4962fe6-90c8-4b89-ba62-a5d3b06426c0';

const response = await fetch(`https://your-panel.com/api/client/servers/${serverId}/backups/${backupId}/download`, {
    method: 'GET',
    headers: {
        'Authorization': 'Bearer ptlc_YOUR_API_KEY',
        'Accept': 'Application/vnd.pterodactyl.v1+json',
        'Content-Type': 'application/json'
    }
});

const downloadData = await response.json();
const downloadUrl = downloadData.attributes.url;

console.log('Download URL generated:', downloadUrl);
console.log('URL expires in 1 hour');

// Use the URL to download the backup
const downloadResponse = await fetch(downloadUrl);
const backup = await downloadResponse.blob();
console.log('Backup downloaded, size:', backup.size, 'bytes');
