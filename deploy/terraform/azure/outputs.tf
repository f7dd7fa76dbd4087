output "address" {
  description = "Where the first of server_names is to lead: an A record."
  value       = azurerm_container_app_environment.main.static_ip_address
}

output "database" {
  description = "The database's host."
  value       = azurerm_postgresql_flexible_server.main.fqdn
}

output "vault" {
  description = "Where the values of the secrets go."
  value       = azurerm_key_vault.main.name
}
