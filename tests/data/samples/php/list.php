<?php
$serverId = 'd3aac109';
$url = "https://your-panel.com/api/client/servers/{$serverId}/backups";

$client = new GuzzleHttp\Client();

$response = $client->get($url, [
    'headers' => [
        'Authorization' => 'Bearer ptlc_YOUR_API_KEY',
        'Accept' => 'Application/vnd.pterodactyl.v1+json',
        'Content-Type' => 'application/json'
    ]
]);

$data = json_decode($response->getBody(), true);

foreach ($data['data'] as $backup) {
    echo "Backup: " . $backup['attributes']['name'] . "\n";
    echo "Size: " . number_format($backup['attributes']['bytes']) . " bytes\n";
    echo "Status: " . ($backup['attributes']['is_successful'] ? 'Successful' : 'Failed') . "\n";
    echo "---\n";
}
?>
