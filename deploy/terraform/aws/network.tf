resource "aws_security_group" "balancer" {
  name_prefix = "${var.name}-balancer-"
  description = "Callers of gRPC"
  vpc_id      = var.vpc_id
  tags        = local.tags

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_security_group" "tasks" {
  name_prefix = "${var.name}-tasks-"
  description = "Wardein"
  vpc_id      = var.vpc_id
  tags        = local.tags

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_security_group" "database" {
  name_prefix = "${var.name}-database-"
  description = "PostgreSQL"
  vpc_id      = var.vpc_id
  tags        = local.tags

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "callers" {
  for_each          = toset(var.callers)
  security_group_id = aws_security_group.balancer.id
  description       = "gRPC"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = local.grpc
  to_port           = local.grpc
}

# What the load balancer passes on, and what it asks for health. HTTP also has the metrics, and is closed to all others.
resource "aws_vpc_security_group_egress_rule" "balancer" {
  for_each                     = { grpc = local.grpc, http = local.http }
  security_group_id            = aws_security_group.balancer.id
  description                  = each.key
  referenced_security_group_id = aws_security_group.tasks.id
  ip_protocol                  = "tcp"
  from_port                    = each.value
  to_port                      = each.value
}

resource "aws_vpc_security_group_ingress_rule" "tasks" {
  for_each                     = { grpc = local.grpc, http = local.http }
  security_group_id            = aws_security_group.tasks.id
  description                  = each.key
  referenced_security_group_id = aws_security_group.balancer.id
  ip_protocol                  = "tcp"
  from_port                    = each.value
  to_port                      = each.value
}

resource "aws_vpc_security_group_egress_rule" "database" {
  security_group_id            = aws_security_group.tasks.id
  description                  = "PostgreSQL"
  referenced_security_group_id = aws_security_group.database.id
  ip_protocol                  = "tcp"
  from_port                    = local.database
  to_port                      = local.database
}

resource "aws_vpc_security_group_egress_rule" "services" {
  security_group_id = aws_security_group.tasks.id
  description       = "Images, secrets, keys and logs"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_ingress_rule" "database" {
  security_group_id            = aws_security_group.database.id
  description                  = "Wardein"
  referenced_security_group_id = aws_security_group.tasks.id
  ip_protocol                  = "tcp"
  from_port                    = local.database
  to_port                      = local.database
}

resource "aws_vpc_security_group_ingress_rule" "administrators" {
  for_each          = toset(var.administrators)
  security_group_id = aws_security_group.database.id
  description       = "Administration"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = local.database
  to_port           = local.database
}

# TLS ends in Wardein.
resource "aws_lb" "main" {
  name                       = var.name
  load_balancer_type         = "network"
  internal                   = var.is_internal
  subnets                    = var.balancer_subnet_ids
  security_groups            = [aws_security_group.balancer.id]
  enable_deletion_protection = true
  # A zone without a task that serves is served by another.
  enable_cross_zone_load_balancing = true
  tags                             = local.tags
}

resource "aws_lb_target_group" "grpc" {
  name        = var.name
  vpc_id      = var.vpc_id
  target_type = "ip"
  protocol    = "TCP"
  port        = local.grpc
  # Limits and the audit log go by the callers' addresses.
  preserve_client_ip   = true
  deregistration_delay = 30
  tags                 = local.tags

  # One that cannot write gets no callers.
  health_check {
    protocol            = "HTTP"
    port                = tostring(local.http)
    path                = "/readyz"
    matcher             = "200"
    interval            = 5
    timeout             = 3
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }
}

resource "aws_lb_listener" "grpc" {
  load_balancer_arn = aws_lb.main.arn
  protocol          = "TCP"
  port              = local.grpc
  tags              = local.tags

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.grpc.arn
  }
}
