<?php
$serverId = 'd3aac109';
$backupId = 'a4962fe6-90c8-4b89-ba62-a5d3b06426c0';
$url = "https://your-panel.com/api/client/servers/{$serverId}/backups/{$backupId}";

$client = new GuzzleHttp\Client();

$response = $client->get($url, [
    'headers' => [
        'Authorization' => 'Bearer ptlc_YOUR_API_KEY',
        'Accept' => 'Application/vnd.pterodactyl.v1+json',
        'Content-Type' => 'application/json'
    ]
]);

$backup = json_decode($response->getBody(), true);
$attrs = $backup['attributes'];

echo "Backup Name: " . $attrs['name'] . "\n";
echo "Status: " . ($attrs['is_successful'] ? 'Successful' : 'Failed') . "\n";
echo "Size: " . round($attrs['bytes'] / 1024 / 1024, 2) . " MB\n";
echo "Created: " . $attrs['created_at'] . "\n";
echo "Completed: " . $attrs['completed_at'] . "\n";
echo "Locked: " . ($attrs['is_locked'] ? 'Yes' : 'No') . "\n";
?>
