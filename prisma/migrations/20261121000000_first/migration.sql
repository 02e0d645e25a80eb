-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "public";

-- CreateEnum
CREATE TYPE "RequestState" AS ENUM ('pending', 'approved', 'denied', 'cancelled', 'expired');

-- CreateEnum
CREATE TYPE "GrantState" AS ENUM ('scheduled', 'opening', 'active', 'closing', 'closed', 'failed');

-- CreateEnum
CREATE TYPE "Method" AS ENUM ('iam', 'password');

-- CreateEnum
CREATE TYPE "Mode" AS ENUM ('session', 'attached');

-- CreateEnum
CREATE TYPE "Verdict" AS ENUM ('approve', 'deny');

-- CreateEnum
CREATE TYPE "Outcome" AS ENUM ('success', 'refused', 'failed');

-- CreateTable
CREATE TABLE "person" (
    "id" UUID NOT NULL,
    "issuer" TEXT NOT NULL,
    "subject" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "email" TEXT,
    "user_name" TEXT,
    "principal_arn" TEXT,
    "groups" TEXT[],
    "locked" BOOLEAN NOT NULL DEFAULT false,
    "first_seen_at" TIMESTAMPTZ(3) NOT NULL,
    "last_seen_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "person_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "login_name" (
    "name" TEXT NOT NULL,
    "person_id" UUID NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "login_name_pkey" PRIMARY KEY ("name")
);

-- CreateTable
CREATE TABLE "target" (
    "id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "partition" TEXT NOT NULL,
    "region" TEXT NOT NULL,
    "account_id" TEXT NOT NULL,
    "resource_id" TEXT NOT NULL,
    "engine_version" TEXT NOT NULL,
    "environment" TEXT NOT NULL,
    "owner_group" TEXT NOT NULL,
    "databases" TEXT[],
    "ca_identifier" TEXT NOT NULL,
    "master_user" TEXT,
    "guard_database" TEXT NOT NULL,
    "broker_login" TEXT NOT NULL,
    "broker_secret" TEXT,
    "connect_role" TEXT,
    "tags" JSONB NOT NULL DEFAULT '{}',
    "enabled" BOOLEAN NOT NULL DEFAULT true,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,
    "deleted_at" TIMESTAMPTZ(3),

    CONSTRAINT "target_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "endpoint" (
    "id" UUID NOT NULL,
    "target_id" UUID NOT NULL,
    "kind" TEXT NOT NULL,
    "connect_host" TEXT NOT NULL,
    "token_host" TEXT NOT NULL,
    "port" INTEGER NOT NULL,

    CONSTRAINT "endpoint_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "profile" (
    "id" UUID NOT NULL,
    "target_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "groups" TEXT[],
    "max_minutes" INTEGER NOT NULL,
    "approvals_needed" INTEGER NOT NULL,
    "read_only" BOOLEAN NOT NULL,
    "connection_limit" INTEGER NOT NULL,
    "methods" "Method"[],
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,
    "deleted_at" TIMESTAMPTZ(3),

    CONSTRAINT "profile_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "request" (
    "id" UUID NOT NULL,
    "grant_id" UUID NOT NULL,
    "target_id" UUID NOT NULL,
    "profile_id" UUID NOT NULL,
    "person_id" UUID NOT NULL,
    "login" TEXT NOT NULL,
    "database" TEXT NOT NULL,
    "duration_minutes" INTEGER NOT NULL,
    "reason" TEXT NOT NULL,
    "ticket" TEXT,
    "starts_at" TIMESTAMPTZ(3),
    "method" "Method" NOT NULL,
    "mode" "Mode" NOT NULL,
    "principal_arn" TEXT,
    "state" "RequestState" NOT NULL,
    "approvals_needed" INTEGER NOT NULL,
    "policies" TEXT[],
    "plan" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "decide_by" TIMESTAMPTZ(3) NOT NULL,
    "decided_at" TIMESTAMPTZ(3),

    CONSTRAINT "request_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "vote" (
    "id" UUID NOT NULL,
    "request_id" UUID NOT NULL,
    "person_id" UUID NOT NULL,
    "verdict" "Verdict" NOT NULL,
    "comment" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "vote_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "access_grant" (
    "id" UUID NOT NULL,
    "request_id" UUID NOT NULL,
    "target_id" UUID NOT NULL,
    "profile_id" UUID NOT NULL,
    "person_id" UUID NOT NULL,
    "login" TEXT NOT NULL,
    "database" TEXT NOT NULL,
    "guard_profile" TEXT NOT NULL,
    "method" "Method" NOT NULL,
    "mode" "Mode" NOT NULL,
    "principal_arn" TEXT,
    "state" "GrantState" NOT NULL,
    "starts_at" TIMESTAMPTZ(3) NOT NULL,
    "ends_at" TIMESTAMPTZ(3) NOT NULL,
    "close_reason" TEXT,
    "opened_at" TIMESTAMPTZ(3),
    "closing_since" TIMESTAMPTZ(3),
    "closed_at" TIMESTAMPTZ(3),
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "next_attempt_at" TIMESTAMPTZ(3),
    "last_error" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "access_grant_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "grant_move" (
    "from_state" "GrantState" NOT NULL,
    "to_state" "GrantState" NOT NULL,

    CONSTRAINT "grant_move_pkey" PRIMARY KEY ("from_state","to_state")
);

-- CreateTable
CREATE TABLE "grant_history" (
    "id" BIGSERIAL NOT NULL,
    "grant_id" UUID NOT NULL,
    "from_state" "GrantState" NOT NULL,
    "to_state" "GrantState" NOT NULL,
    "moved_at" TIMESTAMPTZ(3) NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT "grant_history_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "connection" (
    "id" UUID NOT NULL,
    "target_id" UUID NOT NULL,
    "endpoint_id" UUID NOT NULL,
    "pid" INTEGER NOT NULL,
    "backend_start" TIMESTAMPTZ(6) NOT NULL,
    "login" TEXT NOT NULL,
    "database" TEXT,
    "client_address" TEXT,
    "client_port" INTEGER,
    "tls" BOOLEAN NOT NULL,
    "tls_version" TEXT,
    "tls_cipher" TEXT,
    "application_name" TEXT,
    "person_id" UUID,
    "grant_id" UUID,
    "first_seen_at" TIMESTAMPTZ(3) NOT NULL,
    "last_seen_at" TIMESTAMPTZ(3) NOT NULL,
    "ended_at" TIMESTAMPTZ(3),

    CONSTRAINT "connection_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "audit_event" (
    "id" UUID NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "actor_kind" TEXT NOT NULL,
    "actor_id" UUID,
    "actor_name" TEXT NOT NULL,
    "subject_id" UUID,
    "action" TEXT NOT NULL,
    "outcome" "Outcome" NOT NULL,
    "target_id" UUID,
    "request_id" UUID,
    "grant_id" UUID,
    "code" TEXT,
    "details" JSONB NOT NULL,
    "address" TEXT,
    "correlation_id" TEXT NOT NULL,

    CONSTRAINT "audit_event_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "idempotent_answer" (
    "actor_id" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "fingerprint" TEXT NOT NULL,
    "answer" JSONB,
    "created_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "idempotent_answer_pkey" PRIMARY KEY ("actor_id","key")
);

-- CreateIndex
CREATE UNIQUE INDEX "person_issuer_subject_key" ON "person"("issuer", "subject");

-- CreateIndex
CREATE UNIQUE INDEX "login_name_person_id_key" ON "login_name"("person_id");

-- CreateIndex
CREATE UNIQUE INDEX "endpoint_target_id_kind_connect_host_port_key" ON "endpoint"("target_id", "kind", "connect_host", "port");

-- CreateIndex
CREATE UNIQUE INDEX "request_grant_id_key" ON "request"("grant_id");

-- CreateIndex
CREATE INDEX "request_person_id_id_idx" ON "request"("person_id", "id" DESC);

-- CreateIndex
CREATE INDEX "request_target_id_id_idx" ON "request"("target_id", "id" DESC);

-- CreateIndex
CREATE UNIQUE INDEX "vote_request_id_person_id_key" ON "vote"("request_id", "person_id");

-- CreateIndex
CREATE UNIQUE INDEX "access_grant_request_id_key" ON "access_grant"("request_id");

-- CreateIndex
CREATE INDEX "access_grant_person_id_id_idx" ON "access_grant"("person_id", "id" DESC);

-- CreateIndex
CREATE INDEX "access_grant_target_id_id_idx" ON "access_grant"("target_id", "id" DESC);

-- CreateIndex
CREATE INDEX "grant_history_grant_id_idx" ON "grant_history"("grant_id");

-- CreateIndex
CREATE INDEX "connection_person_id_id_idx" ON "connection"("person_id", "id" DESC);

-- CreateIndex
CREATE INDEX "connection_grant_id_id_idx" ON "connection"("grant_id", "id" DESC);

-- CreateIndex
CREATE UNIQUE INDEX "connection_target_id_endpoint_id_backend_start_pid_key" ON "connection"("target_id", "endpoint_id", "backend_start", "pid");

-- CreateIndex
CREATE INDEX "audit_event_subject_id_id_idx" ON "audit_event"("subject_id", "id" DESC);

-- CreateIndex
CREATE INDEX "audit_event_actor_id_id_idx" ON "audit_event"("actor_id", "id" DESC);

-- CreateIndex
CREATE INDEX "audit_event_target_id_id_idx" ON "audit_event"("target_id", "id" DESC);

-- CreateIndex
CREATE INDEX "audit_event_grant_id_id_idx" ON "audit_event"("grant_id", "id" DESC);

-- CreateIndex
CREATE INDEX "audit_event_request_id_id_idx" ON "audit_event"("request_id", "id" DESC);

-- CreateIndex
CREATE INDEX "audit_event_action_id_idx" ON "audit_event"("action", "id" DESC);

-- CreateIndex
CREATE INDEX "audit_event_outcome_id_idx" ON "audit_event"("outcome", "id" DESC);

-- CreateIndex
CREATE INDEX "audit_event_at_idx" ON "audit_event"("at");

-- CreateIndex
CREATE INDEX "idempotent_answer_created_at_idx" ON "idempotent_answer"("created_at");

-- AddForeignKey
ALTER TABLE "login_name" ADD CONSTRAINT "login_name_person_id_fkey" FOREIGN KEY ("person_id") REFERENCES "person"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "endpoint" ADD CONSTRAINT "endpoint_target_id_fkey" FOREIGN KEY ("target_id") REFERENCES "target"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "profile" ADD CONSTRAINT "profile_target_id_fkey" FOREIGN KEY ("target_id") REFERENCES "target"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "request" ADD CONSTRAINT "request_target_id_fkey" FOREIGN KEY ("target_id") REFERENCES "target"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "request" ADD CONSTRAINT "request_profile_id_fkey" FOREIGN KEY ("profile_id") REFERENCES "profile"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "request" ADD CONSTRAINT "request_person_id_fkey" FOREIGN KEY ("person_id") REFERENCES "person"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "vote" ADD CONSTRAINT "vote_request_id_fkey" FOREIGN KEY ("request_id") REFERENCES "request"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "vote" ADD CONSTRAINT "vote_person_id_fkey" FOREIGN KEY ("person_id") REFERENCES "person"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "access_grant" ADD CONSTRAINT "access_grant_request_id_fkey" FOREIGN KEY ("request_id") REFERENCES "request"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "access_grant" ADD CONSTRAINT "access_grant_target_id_fkey" FOREIGN KEY ("target_id") REFERENCES "target"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "access_grant" ADD CONSTRAINT "access_grant_profile_id_fkey" FOREIGN KEY ("profile_id") REFERENCES "profile"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "access_grant" ADD CONSTRAINT "access_grant_person_id_fkey" FOREIGN KEY ("person_id") REFERENCES "person"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "grant_history" ADD CONSTRAINT "grant_history_grant_id_fkey" FOREIGN KEY ("grant_id") REFERENCES "access_grant"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "grant_history" ADD CONSTRAINT "grant_history_from_state_to_state_fkey" FOREIGN KEY ("from_state", "to_state") REFERENCES "grant_move"("from_state", "to_state") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "connection" ADD CONSTRAINT "connection_target_id_fkey" FOREIGN KEY ("target_id") REFERENCES "target"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "connection" ADD CONSTRAINT "connection_grant_id_fkey" FOREIGN KEY ("grant_id") REFERENCES "access_grant"("id") ON DELETE RESTRICT ON UPDATE CASCADE;


