output "balancer" {
  description = "Where the first of server_names is to lead: a CNAME."
  value       = aws_lb.main.dns_name
}

output "database" {
  description = "The database's host."
  value       = aws_db_instance.main.address
}

output "database_administrator_secret" {
  description = "The secret with the password of the database's administrator."
  value       = aws_db_instance.main.master_user_secret[0].secret_arn
}

output "root_key" {
  description = "The key of KMS that wraps the root key: wardein init --aws-kms-key."
  value       = aws_kms_key.root.arn
}

output "secrets" {
  description = "Where the values go."
  value       = { for name, secret in aws_secretsmanager_secret.file : name => secret.arn }
}
