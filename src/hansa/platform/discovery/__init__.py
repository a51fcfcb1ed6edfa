"""A room for registry and discovery: static, DNS, etcd, Eureka; nothing is here yet."""
