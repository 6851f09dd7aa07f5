require 'net/http'
require 'uri'
require 'json'

class BackupManager
  API_KEY = 'ptlc_YOUR_API_KEY'
  BASE_URL = 'https://your-panel.com/api/client'
  
  def self.list_backups(server_id)
    uri = URI("#{BASE_URL}/servers/#{server_id}/backups")
    
    http = Net::HTTP.new(uri.host, uri.port)
    http.use_ssl = true
    
    request = Net::HTTP::Get.new(uri)
    request['Authorization'] = "Bearer #{API_KEY}"
    request['Accept'] = 'Application/vnd.pterodactyl.v1+json'
    request['Content-Type'] = 'application/json'
    
    response = http.request(request)
    data = JSON.parse(response.body)
    
    data['data'].each do |backup|
      attrs = backup['attributes']
      puts "Backup: #{attrs['name']}"
      puts "Size: #{attrs['bytes'].to_s.reverse.gsub(/(\d{3})(?=\d)/, '\\1,').reverse} bytes"
      puts "Status: #{attrs['is_successful'] ? 'Successful' : 'Failed'}"
      puts "---"
    end
  end
end

# Usage
BackupManager.list_backups('d3aac109')
