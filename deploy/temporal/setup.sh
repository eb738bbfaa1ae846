#!/bin/sh
# Makes or upgrades the schema of Temporal's two databases. Runs in the temporalio/admin-tools image, once per start;
# a schema that is up to date stays as it is.
set -eu

sql_tool() {
  temporal-sql-tool --plugin postgres12 --ep "$POSTGRES_SEEDS" --port 5432 --user "$POSTGRES_USER" --db "$@"
}

for database in temporal temporal_visibility; do
  case $database in
    temporal) schema=temporal ;;
    *) schema=visibility ;;
  esac
  # `create` and version 0.0 fail on a database that has them already, which is the usual case.
  sql_tool "$database" create || echo "$database exists"
  sql_tool "$database" setup-schema -v 0.0 || echo "$database has a schema"
  sql_tool "$database" update-schema -d "/etc/temporal/schema/postgresql/v12/$schema/versioned"
done
