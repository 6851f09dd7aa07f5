<?php
$serverId = 'd3aac109';
$backupId = 'a4962fe6-90c8-4b89-ba62-a5d3b06426c0';
$url = "https://your-panel.com/api/client/servers/{$serverId}/backups/{$backupId}/download";

$client = new GuzzleHttp\Client();

// Get download URL
$response = $client->get($url, [
    'headers' => [
        'Authorization' => 'Bearer ptlc_YOUR_API_KEY',
        'Accept' => 'Application/vnd.pterodactyl.v1+json',
        'Content-Type' => 'application/json'
    ]
]);

$downloadData = json_decode($response->getBody(), true);
$downloadUrl = $downloadData['attributes']['url'];

echo "Download URL generated: " . $downloadUrl . "\n";
echo "URL expires in 1 hour\n";

// Download the backup file
$filename = "backup_{$backupId}.tar.gz";
$downloadResponse = $client->get($downloadUrl, [
    'sink' => $filename
]);

echo "Backup downloaded as: " . $filename . "\n";
echo "File size: " . filesize($filename) . " bytes\n";
?>
