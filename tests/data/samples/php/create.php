<?php
$serverId = 'd3aac109';
$url = "https://your-panel.com/api/client/servers/{$serverId}/backups";

$backupData = [
    'name' => 'Pre-maintenance backup',
    'ignored' => "*.log\ncache/*\ntemp/*\n*.tmp",
    'is_locked' => true
];

$client = new GuzzleHttp\Client();

$response = $client->post($url, [
    'headers' => [
        'Authorization' => 'Bearer ptlc_YOUR_API_KEY',
        'Accept' => 'Application/vnd.pterodactyl.v1+json',
        'Content-Type' => 'application/json'
    ],
    'json' => $backupData
]);

$backup = json_decode($response->getBody(), true);
$attrs = $backup['attributes'];

echo "Backup created: " . $attrs['uuid'] . "\n";
echo "Backup name: " . $attrs['name'] . "\n";
echo "Locked: " . ($attrs['is_locked'] ? 'Yes' : 'No') . "\n";
echo "Status: Initiated - backup is now being created\n";
?>
