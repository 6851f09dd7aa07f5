require 'net/http'
require 'uri'
require 'json'

class BackupManager
  API_KEY = 'ptlc_YOUR_API_KEY'
  BASE_URL = 'https://your-panel.com/api/client'
  
  def self.delete_backup(server_id, backup_id)
    uri = URI("#{BASE_URL}/servers/#{server_id}/backups/#{backup_id}")
    
    http = Net::HTTP.new(uri.host, uri.port)
    http.use_ssl = true
    
    request = Net::HTTP::Delete.new(uri)
    request['Authorization'] = "Bearer #{API_KEY}"
    request['Accept'] = 'Application/vnd.pterodactyl.v1+json'
    request['Content-Type'] = 'application/json'
    
    response = http.request(request)
    
    if response.code == '204'
      puts "Backup successfully deleted"
    else
      puts "Failed to delete backup: #{response.code}"
      puts "Error: #{response.body}" unless response.body.empty?
    end
  rescue StandardError => e
    puts "Error deleting backup: #{e.message}"
  end
end

# Usage
BackupManager.delete_backup('d3aac109', 'c3948f1a-67b2-4d89-8c45-a1b2c3d4e5f6')
