"""docker-compose.yaml as processes of this machine: the same services, commands and environment, other addresses."""
