variable "name" {
  description = "What everything is named by; with the suffix it is unique in the world."
  type        = string
  default     = "wardein"
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,13}$", var.name))
    error_message = "A name is of 1 to 14 characters: a-z, 0-9 and '-'."
  }
}

variable "suffix" {
  description = "What makes the names of vault and database unique."
  type        = string
  validation {
    condition     = can(regex("^[a-z0-9]{3,8}$", var.suffix))
    error_message = "A suffix is of 3 to 8 characters: a-z and 0-9."
  }
}

variable "resource_group_name" {
  description = "The resource group, which is there."
  type        = string
}

variable "location" {
  description = "The region: one with three zones."
  type        = string
}

variable "tenant_id" {
  description = "The directory of the subscription."
  type        = string
}

variable "image" {
  description = "The image of deploy/oci, by its digest."
  type        = string
  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "Name the image by its digest: REPOSITORY@sha256:…"
  }
}

variable "files_image" {
  description = "An image with a shell and base64, by its digest, which puts secrets into files: mcr.microsoft.com/azurelinux/base/core@sha256:…"
  type        = string
  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.files_image))
    error_message = "Name the image by its digest: REPOSITORY@sha256:…"
  }
}

variable "registry" {
  description = "The registry of both images, as id and server."
  type = object({
    id     = string
    server = string
  })
}

variable "virtual_network_id" {
  description = "The network."
  type        = string
}

variable "apps_subnet_id" {
  description = "A subnet for the Container Apps environment: /27 or larger, delegated to Microsoft.App/environments."
  type        = string
}

variable "database_subnet_id" {
  description = "A subnet for the database: /28 or larger, delegated to Microsoft.DBforPostgreSQL/flexibleServers."
  type        = string
}

variable "vault_readers" {
  description = "The addresses from which secrets are put into the vault, as CIDR blocks."
  type        = list(string)
  default     = []
}

variable "administrators" {
  description = "Object ids of who puts secrets into the vault."
  type        = set(string)
}

variable "is_internal" {
  description = "Whether gRPC is reached from within the network alone."
  type        = bool
  default     = true
}

variable "server_names" {
  description = "The names in the server's certificate; clients use the first one, which leads to the environment's address."
  type        = list(string)
  validation {
    condition     = length(var.server_names) >= 1 && alltrue([for name in var.server_names : can(regex("^[A-Za-z0-9.-]{1,253}$", name))])
    error_message = "At least one DNS name is needed."
  }
}

variable "replicas" {
  description = "How many replicas serve. 0: the app is not made, until the secrets have their values."
  type        = number
  default     = 0
}

variable "cpu" {
  description = "Processors of a replica."
  type        = number
  default     = 1
}

variable "memory" {
  description = "Of a replica: twice as many Gi as processors."
  type        = string
  default     = "2Gi"
}

variable "database_sku" {
  description = "The database's instances: a class that takes a standby."
  type        = string
  default     = "GP_Standard_D2ds_v5"
}

variable "database_storage_mb" {
  description = "The database's disk, in MiB."
  type        = number
  default     = 131072
}

variable "database_administrator_password" {
  description = "The password of the database's administrator. It is in no plan and no state: give it as TF_VAR_database_administrator_password or at the prompt."
  type        = string
  sensitive   = true
  ephemeral   = true
}

variable "database_administrator_password_version" {
  description = "Raised when the password changed."
  type        = number
  default     = 1
}

variable "database_ca_pem" {
  description = "The CAs of the database's certificate, PEM: DigiCert Global Root G2 and Microsoft RSA Root Certificate Authority 2017."
  type        = string
}

variable "retention_days" {
  description = "For how long logs and the database's own backups are kept; backups for 7 to 35 days."
  type        = number
  default     = 30
}
