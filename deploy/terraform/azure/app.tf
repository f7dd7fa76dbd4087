resource "azurerm_container_app_environment" "main" {
  name                           = var.name
  resource_group_name            = var.resource_group_name
  location                       = var.location
  log_analytics_workspace_id     = azurerm_log_analytics_workspace.main.id
  infrastructure_subnet_id       = var.apps_subnet_id
  internal_load_balancer_enabled = var.is_internal
  zone_redundancy_enabled        = true
  tags                           = local.tags

  workload_profile {
    name                  = "Consumption"
    workload_profile_type = "Consumption"
  }
}

locals {
  config = templatefile("${path.module}/../wardein.toml.tftpl", {
    grpc         = local.grpc
    http         = local.http
    server_names = var.server_names
    database     = azurerm_postgresql_flexible_server.main.fqdn
    custody      = "key_file = \"root.key\""
  })
  # Secrets become files for the service alone, and are in no variable of a container. What is in CONFIG and CA is public.
  place = <<-end
    set -eu
    umask 077
    cd /run/wardein
    printf %s "$CONFIG" | base64 --decode > wardein.toml
    printf %s "$CA" | base64 --decode > db-ca.pem
    base64 --decode < /secrets/custody > custody.json
    base64 --decode < /secrets/root-key > root.key
    base64 --decode < /secrets/database-password > db.password
    chown -R ${local.user}:${local.user} .
    chmod 500 .
  end
}

resource "azurerm_container_app" "main" {
  count                        = var.replicas > 0 ? 1 : 0
  name                         = var.name
  resource_group_name          = var.resource_group_name
  container_app_environment_id = azurerm_container_app_environment.main.id
  workload_profile_name        = "Consumption"
  # A new revision is ready before the former one ends.
  revision_mode = "Single"
  tags          = local.tags

  identity {
    type         = "UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.app.id]
  }

  registry {
    server   = var.registry.server
    identity = azurerm_user_assigned_identity.app.id
  }

  dynamic "secret" {
    for_each = local.secrets
    content {
      name                = secret.key
      key_vault_secret_id = "${azurerm_key_vault.main.vault_uri}secrets/${secret.key}"
      identity            = azurerm_user_assigned_identity.app.id
    }
  }

  # TLS ends in Wardein. HTTP, with the metrics, is not passed on.
  ingress {
    external_enabled = true
    transport        = "tcp"
    target_port      = local.grpc
    exposed_port     = local.grpc

    traffic_weight {
      latest_revision = true
      percentage      = 100
    }
  }

  template {
    min_replicas                     = var.replicas
    max_replicas                     = var.replicas
    termination_grace_period_seconds = 30

    volume {
      name         = "secrets"
      storage_type = "Secret"
    }
    volume {
      name         = "files"
      storage_type = "EmptyDir"
    }

    init_container {
      name    = "files"
      image   = var.files_image
      command = ["/bin/sh", "-c", local.place]
      cpu     = 0.25
      memory  = "0.5Gi"

      env {
        name  = "CONFIG"
        value = base64encode(local.config)
      }
      env {
        name  = "CA"
        value = base64encode(var.database_ca_pem)
      }
      volume_mounts {
        name = "secrets"
        path = "/secrets"
      }
      volume_mounts {
        name = "files"
        path = "/run/wardein"
      }
    }

    container {
      name   = "wardein"
      image  = var.image
      args   = ["serve", "--config", "/run/wardein/wardein.toml"]
      cpu    = var.cpu
      memory = var.memory

      volume_mounts {
        name = "files"
        path = "/run/wardein"
      }

      # A store of a million devices that a new release migrates takes minutes.
      startup_probe {
        transport               = "HTTP"
        port                    = local.http
        path                    = "/healthz"
        interval_seconds        = 10
        timeout                 = 3
        failure_count_threshold = 30
      }
      # One that cannot write gets no callers, and is not restarted for it.
      liveness_probe {
        transport               = "HTTP"
        port                    = local.http
        path                    = "/healthz"
        interval_seconds        = 10
        timeout                 = 5
        failure_count_threshold = 6
      }
      readiness_probe {
        transport               = "HTTP"
        port                    = local.http
        path                    = "/readyz"
        interval_seconds        = 5
        timeout                 = 3
        failure_count_threshold = 2
      }
    }
  }

  depends_on = [azurerm_role_assignment.secrets, azurerm_role_assignment.images]
}
