#!/bin/sh
# Runs once, when the cluster is made. The owner migrates and is no superuser; the application can log in and owns nothing:
# migrations grant what it may do, and the audit log is append-only for both.
set -eu

owner_password=$(cat "${OWNER_PASSWORD_FILE:?}")
app_password=$(cat "${APP_PASSWORD_FILE:?}")

psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:?}" --dbname postgres <<SQL
SET password_encryption = 'scram-sha-256';
CREATE ROLE factory_owner LOGIN PASSWORD '$owner_password';
CREATE ROLE factory_app LOGIN PASSWORD '$app_password';
CREATE DATABASE factory OWNER factory_owner;
REVOKE ALL ON DATABASE factory FROM PUBLIC;
GRANT CONNECT ON DATABASE factory TO factory_app;
SQL
