resource "azurerm_private_dns_zone" "database" {
  name                = "${var.name}-${var.suffix}.private.postgres.database.azure.com"
  resource_group_name = var.resource_group_name
  tags                = local.tags
}

resource "azurerm_private_dns_zone_virtual_network_link" "database" {
  name                  = var.name
  resource_group_name   = var.resource_group_name
  private_dns_zone_name = azurerm_private_dns_zone.database.name
  virtual_network_id    = var.virtual_network_id
  tags                  = local.tags
}

resource "azurerm_postgresql_flexible_server" "main" {
  name                = "${var.name}-${var.suffix}"
  resource_group_name = var.resource_group_name
  location            = var.location
  version             = "15"
  sku_name            = var.database_sku
  storage_mb          = var.database_storage_mb
  auto_grow_enabled   = true
  tags                = local.tags

  administrator_login               = "administrator_of_server"
  administrator_password_wo         = var.database_administrator_password
  administrator_password_wo_version = var.database_administrator_password_version

  public_network_access_enabled = false
  delegated_subnet_id           = var.database_subnet_id
  private_dns_zone_id           = azurerm_private_dns_zone.database.id

  # A synchronous standby in another zone: a failover loses nothing.
  zone = "1"
  high_availability {
    mode                      = "ZoneRedundant"
    standby_availability_zone = "2"
  }

  # For a lost database. An earlier moment than the last one is not for an authority: see README.md.
  backup_retention_days = max(7, min(var.retention_days, 35))

  identity {
    type         = "UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.database.id]
  }
  customer_managed_key {
    key_vault_key_id                  = azurerm_key_vault_key.database.versionless_id
    primary_user_assigned_identity_id = azurerm_user_assigned_identity.database.id
  }

  lifecycle {
    prevent_destroy = true
    # A failover exchanges them.
    ignore_changes = [zone, high_availability[0].standby_availability_zone]
  }

  depends_on = [azurerm_private_dns_zone_virtual_network_link.database, azurerm_role_assignment.database_key]
}

# TLS alone, and nothing acknowledged that is not durable.
resource "azurerm_postgresql_flexible_server_configuration" "main" {
  for_each  = { require_secure_transport = "ON", ssl_min_protocol_version = "TLSv1.3", synchronous_commit = "ON" }
  name      = each.key
  value     = each.value
  server_id = azurerm_postgresql_flexible_server.main.id
}
