#!/bin/sh
# deploy/secrets.sh: makes the passwords and keys of compose.stack.yaml, once, into deploy/.env, which only its owner can read and
# which git does not take. Compose reads that file by itself. Delete it (and the volumes that know the old ones) for new ones.
set -eu
file=$(cd "$(dirname "$0")" && pwd)/.env
if [ -e "$file" ] && grep -q '^POSTGRES_PASSWORD=' "$file"; then
	echo "$file is there already: nothing is changed."
	exit 0
fi
word() { head -c "$1" /dev/urandom | base64 | tr '+/' '-_' | tr -d '\n='; }
umask 077
{
	echo "POSTGRES_PASSWORD=$(word 24)"
	echo "AIRFLOW_ADMIN_PASSWORD=$(word 18)"
	echo "AIRFLOW_JWT_SECRET=$(word 64)"
	echo "AIRFLOW_SECRET_KEY=$(word 32)"
	echo "AIRFLOW_FERNET_KEY=$(word 32)="
} >>"$file"
chmod 600 "$file"
echo "$file is written. Airflow's page: user admin, password AIRFLOW_ADMIN_PASSWORD in there."
