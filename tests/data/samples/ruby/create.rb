require 'net/http'
require 'uri'
require 'json'

class BackupManager
  API_KEY = 'ptlc_YOUR_API_KEY'
  BASE_URL = 'https://your-panel.com/api/client'
  
  def self.create_backup(server_id)
    uri = URI("#{BASE_URL}/servers/#{server_id}/backups")
    
    backup_data = {
      name: 'Pre-maintenance backup',
      ignored: "*.log\ncache/*\ntemp/*\n*.tmp",
      is_locked: true
    }
    
    http = Net::HTTP.new(uri.host, uri.port)
    http.use_ssl = true
    
    request = Net::HTTP::Post.new(uri)
    request['Authorization'] = "Bearer #{API_KEY}"
    request['Accept'] = 'Application/vnd.pterodactyl.v1+json'
    request['Content-Type'] = 'application/json'
    request.body = backup_data.to_json
    
    response = http.request(request)
    backup = JSON.parse(response.body)
    attrs = backup['attributes']
    
    puts "Backup created: #{attrs['uuid']}"
    puts "Backup name: #{attrs['name']}"
    puts "Locked: #{attrs['is_locked'] ? 'Yes' : 'No'}"
    puts "Status: Initiated - backup is now being created"
  end
end

# Usage
BackupManager.create_backup('d3aac109')
