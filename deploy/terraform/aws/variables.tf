variable "name" {
  description = "What everything is named by."
  type        = string
  default     = "wardein"
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,19}$", var.name))
    error_message = "A name is of 1 to 20 characters: a-z, 0-9 and '-'."
  }
}

variable "image" {
  description = "The image of deploy/oci, with the feature aws-kms, by its digest."
  type        = string
  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "Name the image by its digest: REPOSITORY@sha256:…"
  }
}

variable "files_image" {
  description = "The AWS command line, by its digest, which fetches secrets into files: public.ecr.aws/aws-cli/aws-cli@sha256:…"
  type        = string
  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.files_image))
    error_message = "Name the image by its digest: REPOSITORY@sha256:…"
  }
}

variable "vpc_id" {
  description = "The network."
  type        = string
}

variable "private_subnet_ids" {
  description = "Subnets of at least two zones, for tasks and database. Tasks reach ECR, Secrets Manager, KMS and CloudWatch from them, through a NAT gateway or endpoints."
  type        = list(string)
  validation {
    condition     = length(var.private_subnet_ids) >= 2
    error_message = "Subnets of at least two zones are needed."
  }
}

variable "balancer_subnet_ids" {
  description = "Subnets of the load balancer, in the same zones: public ones where devices come from outside."
  type        = list(string)
}

variable "is_internal" {
  description = "Whether the load balancer is reached from within the network alone."
  type        = bool
  default     = true
}

variable "callers" {
  description = "The addresses from which gRPC is called, as CIDR blocks."
  type        = list(string)
}

variable "administrators" {
  description = "The addresses from which the database is administered and the authority founded, as CIDR blocks."
  type        = list(string)
  default     = []
}

variable "trust_domain" {
  description = "The authority's trust domain, as wardein init is given it. The tasks may open the root key of that authority alone."
  type        = string
}

variable "server_names" {
  description = "The names in the server's certificate; clients use the first one, which leads to the load balancer."
  type        = list(string)
  validation {
    condition     = length(var.server_names) >= 1 && alltrue([for name in var.server_names : can(regex("^[A-Za-z0-9.-]{1,253}$", name))])
    error_message = "At least one DNS name is needed."
  }
}

variable "tasks" {
  description = "How many tasks serve. 0 until the secrets have their values."
  type        = number
  default     = 0
}

variable "cpu" {
  description = "Of a task: 1024 is one processor."
  type        = number
  default     = 1024
}

variable "memory" {
  description = "Of a task, in MiB."
  type        = number
  default     = 2048
}

variable "architecture" {
  description = "Of the image: X86_64 or ARM64."
  type        = string
  default     = "X86_64"
}

variable "database_class" {
  description = "The database's instances."
  type        = string
  default     = "db.m7g.large"
}

variable "database_storage" {
  description = "The database's disk, in GiB."
  type        = number
  default     = 100
}

variable "database_ca_pem" {
  description = "The CAs of RDS in this region, PEM: file(\"eu-central-1-bundle.pem\"), from https://truststore.pki.rds.amazonaws.com/."
  type        = string
}

variable "retention_days" {
  description = "For how long logs and the database's own backups are kept; backups for at most 35 days."
  type        = number
  default     = 30
}
