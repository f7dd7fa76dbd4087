data "aws_iam_policy_document" "tasks" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.own.account_id]
    }
  }
}

# What starts the task: it gets images, and writes logs.
resource "aws_iam_role" "start" {
  name               = "${var.name}-start"
  assume_role_policy = data.aws_iam_policy_document.tasks.json
  tags               = local.tags
}

resource "aws_iam_role_policy_attachment" "start" {
  role       = aws_iam_role.start.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
}

# The task: it reads its own secrets, and nothing else.
resource "aws_iam_role" "task" {
  name               = "${var.name}-task"
  assume_role_policy = data.aws_iam_policy_document.tasks.json
  tags               = local.tags
}

data "aws_iam_policy_document" "secrets" {
  statement {
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [for secret in aws_secretsmanager_secret.file : secret.arn]
  }
  # The root key of this authority, and of no other.
  statement {
    actions   = ["kms:Decrypt"]
    resources = [aws_kms_key.root.arn]
    condition {
      test     = "StringEquals"
      variable = "kms:EncryptionContext:wardein:trust-domain"
      values   = [var.trust_domain]
    }
  }
  statement {
    actions   = ["kms:Decrypt"]
    resources = [aws_kms_key.main.arn]
    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["secretsmanager.${data.aws_region.here.region}.amazonaws.com"]
    }
  }
}

resource "aws_iam_role_policy" "secrets" {
  name   = "secrets"
  role   = aws_iam_role.task.id
  policy = data.aws_iam_policy_document.secrets.json
}

resource "aws_ecs_cluster" "main" {
  name = var.name
  tags = local.tags

  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

locals {
  logs = {
    logDriver = "awslogs"
    options = {
      awslogs-group         = aws_cloudwatch_log_group.main.name
      awslogs-region        = data.aws_region.here.region
      awslogs-stream-prefix = "task"
    }
  }
  config = templatefile("${path.module}/../wardein.toml.tftpl", {
    grpc         = local.grpc
    http         = local.http
    server_names = var.server_names
    database     = aws_db_instance.main.address
    custody      = "aws_kms_key = \"${aws_kms_key.root.arn}\""
  })
  # Secrets become files for the service alone, and are in no variable of a container. What is in CONFIG and CA is public.
  place = <<-end
    set -eu
    umask 077
    cd /run/wardein
    printf %s "$CONFIG" | base64 --decode > wardein.toml
    printf %s "$CA" | base64 --decode > db-ca.pem
    for name in $SECRETS; do
      value=$(aws secretsmanager get-secret-value --secret-id "$PREFIX/$name" --query SecretString --output text)
      printf %s "$value" | base64 --decode > "$name"
    done
    chown -R ${local.user}:${local.user} .
    chmod 500 .
  end
}

resource "aws_ecs_task_definition" "main" {
  family                   = var.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  execution_role_arn       = aws_iam_role.start.arn
  task_role_arn            = aws_iam_role.task.arn
  tags                     = local.tags

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.architecture
  }

  # The task's own disk, which is encrypted and goes with it.
  volume {
    name = "files"
  }

  container_definitions = jsonencode([
    {
      name       = "files"
      image      = var.files_image
      essential  = false
      user       = "0"
      entryPoint = ["/bin/sh", "-c"]
      command    = [local.place]
      environment = [
        { name = "CONFIG", value = base64encode(local.config) },
        { name = "CA", value = base64encode(var.database_ca_pem) },
        { name = "PREFIX", value = var.name },
        { name = "SECRETS", value = join(" ", local.secrets) },
        { name = "HOME", value = "/tmp" },
      ]
      mountPoints      = [{ sourceVolume = "files", containerPath = "/run/wardein", readOnly = false }]
      logConfiguration = local.logs
    },
    {
      name                   = "wardein"
      image                  = var.image
      essential              = true
      user                   = "${local.user}:${local.user}"
      command                = ["serve", "--config", "/run/wardein/wardein.toml"]
      dependsOn              = [{ containerName = "files", condition = "SUCCESS" }]
      readonlyRootFilesystem = true
      linuxParameters        = { capabilities = { drop = ["ALL"] } }
      ulimits                = [{ name = "nofile", softLimit = 16384, hardLimit = 16384 }]
      # It waits for calls in hand for 20 s.
      stopTimeout      = 30
      portMappings     = [for port in [local.grpc, local.http] : { containerPort = port, protocol = "tcp" }]
      mountPoints      = [{ sourceVolume = "files", containerPath = "/run/wardein", readOnly = true }]
      logConfiguration = local.logs
    },
  ])
}

resource "aws_ecs_service" "main" {
  name            = var.name
  cluster         = aws_ecs_cluster.main.id
  task_definition = aws_ecs_task_definition.main.arn
  desired_count   = var.tasks
  launch_type     = "FARGATE"
  propagate_tags  = "SERVICE"
  tags            = local.tags

  # New tasks are ready before old ones end. ECS ends tasks that the load balancer finds unhealthy, which those are that cannot write, as while the
  # database fails over: it is to leave them alone. They end by themselves where they must. 68 years is the most there is.
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  health_check_grace_period_seconds  = 2147483647

  network_configuration {
    subnets          = var.private_subnet_ids
    security_groups  = [aws_security_group.tasks.id]
    assign_public_ip = false
  }

  load_balancer {
    target_group_arn = aws_lb_target_group.grpc.arn
    container_name   = "wardein"
    container_port   = local.grpc
  }

  depends_on = [aws_lb_listener.grpc, aws_iam_role_policy.secrets, aws_iam_role_policy_attachment.start]
}
