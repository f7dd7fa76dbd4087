data "aws_region" "here" {}

data "aws_caller_identity" "own" {}

locals {
  grpc     = 7443
  http     = 7480
  database = 5432
  # The user of the image.
  user = 65532
  tags = { Application = var.name }
  # Their values are put by hand, so that no state has them.
  secrets = toset(["custody.json", "db.password"])
}

# It wraps the root key, in custody.json, and nothing else: it is not to be deleted with the rest. Who may use it is for IAM to say.
resource "aws_kms_key" "root" {
  description             = "${var.name}: root key"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  tags                    = local.tags

  lifecycle {
    prevent_destroy = true
  }
}

# One key for the database, the secrets and the logs.
resource "aws_kms_key" "main" {
  description             = "${var.name}: database, secrets, logs"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = data.aws_iam_policy_document.key.json
  tags                    = local.tags
}

data "aws_iam_policy_document" "key" {
  statement {
    sid       = "Account"
    actions   = ["kms:*"]
    resources = ["*"]
    principals {
      type        = "AWS"
      identifiers = ["arn:aws:iam::${data.aws_caller_identity.own.account_id}:root"]
    }
  }
  statement {
    sid       = "Logs"
    actions   = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
    resources = ["*"]
    principals {
      type        = "Service"
      identifiers = ["logs.${data.aws_region.here.region}.amazonaws.com"]
    }
    condition {
      test     = "ArnEquals"
      variable = "kms:EncryptionContext:aws:logs:arn"
      values   = ["arn:aws:logs:${data.aws_region.here.region}:${data.aws_caller_identity.own.account_id}:log-group:/${var.name}"]
    }
  }
}

resource "aws_kms_alias" "main" {
  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.main.key_id
}

resource "aws_secretsmanager_secret" "file" {
  for_each                = local.secrets
  name                    = "${var.name}/${each.key}"
  description             = "A file of Wardein, base64"
  kms_key_id              = aws_kms_key.main.arn
  recovery_window_in_days = 30
  tags                    = local.tags
}

resource "aws_cloudwatch_log_group" "main" {
  name              = "/${var.name}"
  retention_in_days = var.retention_days
  kms_key_id        = aws_kms_key.main.arn
  tags              = local.tags
}
