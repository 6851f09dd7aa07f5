curl -X POST "https://your-panel.com/api/client/servers/d3aac109/backups" \
  -H "Authorization: Bearer ptlc_YOUR_API_KEY" \
  -H "Accept: Application/vnd.pterodactyl.v1+json" \
  -H "Content-Type: application/json" \
  -d '{
    "name": "Pre-maintenance backup",
    "ignored": "*.log\ncache/*\ntemp/*\n*.tmp",
    "is_locked": true
  }'
