locals {
  grpc = 7443
  http = 7480
  # The user of the image.
  user = 65532
  tags = { application = var.name }
  # In the vault, where their values are put by hand, so that no state has them.
  secrets = toset(["custody", "root-key", "database-password"])
}

resource "azurerm_user_assigned_identity" "app" {
  name                = "${var.name}-app"
  resource_group_name = var.resource_group_name
  location            = var.location
  tags                = local.tags
}

resource "azurerm_user_assigned_identity" "database" {
  name                = "${var.name}-database"
  resource_group_name = var.resource_group_name
  location            = var.location
  tags                = local.tags
}

resource "azurerm_key_vault" "main" {
  name                       = "${var.name}-${var.suffix}"
  resource_group_name        = var.resource_group_name
  location                   = var.location
  tenant_id                  = var.tenant_id
  sku_name                   = "premium"
  rbac_authorization_enabled = true
  purge_protection_enabled   = true
  soft_delete_retention_days = 90
  tags                       = local.tags

  # The environment resolves secrets from outside of the network: as a service of Azure that is trusted.
  network_acls {
    default_action = "Deny"
    bypass         = "AzureServices"
    ip_rules       = var.vault_readers
  }
}

resource "azurerm_role_assignment" "administrators" {
  for_each             = var.administrators
  scope                = azurerm_key_vault.main.id
  role_definition_name = "Key Vault Administrator"
  principal_id         = each.value
}

# The vault is for this app alone: it reads the secrets, and nothing else.
resource "azurerm_role_assignment" "secrets" {
  scope                = azurerm_key_vault.main.id
  role_definition_name = "Key Vault Secrets User"
  principal_id         = azurerm_user_assigned_identity.app.principal_id
}

resource "azurerm_role_assignment" "images" {
  scope                = var.registry.id
  role_definition_name = "AcrPull"
  principal_id         = azurerm_user_assigned_identity.app.principal_id
}

# The database is encrypted under it. It does not wrap the root key: custody does, by root.key.
resource "azurerm_key_vault_key" "database" {
  name         = "database"
  key_vault_id = azurerm_key_vault.main.id
  key_type     = "RSA-HSM"
  key_size     = 3072
  key_opts     = ["wrapKey", "unwrapKey"]
  tags         = local.tags

  rotation_policy {
    expire_after         = "P2Y"
    notify_before_expiry = "P30D"
    automatic {
      time_after_creation = "P1Y"
    }
  }

  depends_on = [azurerm_role_assignment.administrators]
}

resource "azurerm_role_assignment" "database_key" {
  scope                = azurerm_key_vault.main.id
  role_definition_name = "Key Vault Crypto Service Encryption User"
  principal_id         = azurerm_user_assigned_identity.database.principal_id
}

resource "azurerm_log_analytics_workspace" "main" {
  name                = var.name
  resource_group_name = var.resource_group_name
  location            = var.location
  sku                 = "PerGB2018"
  retention_in_days   = max(var.retention_days, 30)
  tags                = local.tags
}
