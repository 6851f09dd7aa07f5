const serverId = 'd3aac109';
const backupId = 'a4962fe6-90c8-4b89-ba62-a5d3b06426c0';

const restoreData = {
    truncate: true  // Delete existing files before restore
};

const response = await fetch(`https://your-panel.com/api/client/servers/${serverId}/backups/${backupId}/restore`, {
    method: 'POST',
    headers: {
        'Authorization': 'Bearer ptlc_YOUR_API_KEY',
        'Accept': 'Application/vnd.pterodactyl.v1+json',
        'Content-Type': 'application/json'
    },
    body: JSON.stringify(restoreData)
});

if (response.status === 202) {
    console.log('Backup restoration initiated');
    console.log('Server will be restored from backup - this may take several minutes');
} else {
    console.error('Failed to initiate restore:', response.status);
}
