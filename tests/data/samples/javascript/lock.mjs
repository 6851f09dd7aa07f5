const serverId = 'd3aac109';
const backupId = 'a4962fe6-90c8-4b89-ba62-a5d3b06426c0';

// Toggle backup lock status
async function toggleBackupLock() {
    const response = await fetch(`https://your-panel.com/api/client/servers/${serverId}/backups/${backupId}/lock`, {
        method: 'POST',
        headers: {
            'Authorization': 'Bearer ptlc_YOUR_API_KEY',
            'Accept': 'Application/vnd.pterodactyl.v1+json',
            'Content-Type': 'application/json'
        }
    });

    if (response.status === 204) {
        console.log('Backup lock status toggled successfully');
    } else {
        console.error('Failed to toggle backup lock:', response.status);
    }
}

// Usage
await toggleBackupLock(); // Toggle lock status
