CREATE TABLE `attestations` (
	`id` text PRIMARY KEY NOT NULL,
	`account_id` text NOT NULL,
	`level` text NOT NULL,
	`issuer` text NOT NULL,
	`body` text NOT NULL,
	`signature` text NOT NULL,
	`created_at` integer NOT NULL,
	`expires_at` integer NOT NULL,
	`revoked_at` integer,
	FOREIGN KEY (`account_id`) REFERENCES `accounts`(`id`) ON UPDATE no action ON DELETE no action,
	CONSTRAINT "attestations_level" CHECK("attestations"."level" in ('kyc', 'certified'))
);
--> statement-breakpoint
CREATE INDEX `attestations_by_account` ON `attestations` (`account_id`,`created_at`,`id`);--> statement-breakpoint
CREATE TABLE `invitations` (
	`id` text PRIMARY KEY NOT NULL,
	`account_id` text NOT NULL,
	`role` text NOT NULL,
	`name` text NOT NULL,
	`secret_hash` text NOT NULL,
	`created_at` integer NOT NULL,
	`expires_at` integer NOT NULL,
	`accepted_by` text,
	`accepted_at` integer,
	`revoked_at` integer,
	FOREIGN KEY (`account_id`) REFERENCES `accounts`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE INDEX `invitations_by_account` ON `invitations` (`account_id`,`created_at`,`id`);--> statement-breakpoint
CREATE TABLE `members` (
	`account_id` text NOT NULL,
	`person_id` text NOT NULL,
	`role` text NOT NULL,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`account_id`, `person_id`),
	FOREIGN KEY (`account_id`) REFERENCES `accounts`(`id`) ON UPDATE no action ON DELETE no action,
	FOREIGN KEY (`person_id`) REFERENCES `people`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE INDEX `members_by_person` ON `members` (`person_id`,`created_at`,`account_id`);--> statement-breakpoint
CREATE TABLE `people` (
	`id` text PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`created_at` integer NOT NULL,
	`last_seen_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `projects` (
	`id` text PRIMARY KEY NOT NULL,
	`account_id` text NOT NULL,
	`team_id` text,
	`name` text NOT NULL,
	`limits` text,
	`created_at` integer NOT NULL,
	`archived_at` integer,
	FOREIGN KEY (`account_id`) REFERENCES `accounts`(`id`) ON UPDATE no action ON DELETE no action,
	FOREIGN KEY (`team_id`) REFERENCES `teams`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE INDEX `projects_by_account` ON `projects` (`account_id`,`created_at`,`id`);--> statement-breakpoint
CREATE INDEX `projects_by_team` ON `projects` (`team_id`);--> statement-breakpoint
CREATE TABLE `sign_ins` (
	`nonce` text PRIMARY KEY NOT NULL,
	`person_id` text NOT NULL,
	`expires_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `sign_ins_by_expiry` ON `sign_ins` (`expires_at`);--> statement-breakpoint
CREATE TABLE `teams` (
	`id` text PRIMARY KEY NOT NULL,
	`account_id` text NOT NULL,
	`name` text NOT NULL,
	`limits` text,
	`created_at` integer NOT NULL,
	`archived_at` integer,
	FOREIGN KEY (`account_id`) REFERENCES `accounts`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE INDEX `teams_by_account` ON `teams` (`account_id`,`created_at`,`id`);--> statement-breakpoint
CREATE TABLE `alerts` (
	`id` text PRIMARY KEY NOT NULL,
	`account_id` text NOT NULL,
	`scope` text NOT NULL,
	`scope_id` text NOT NULL,
	`period` text NOT NULL,
	`percent` integer NOT NULL,
	`spent_micros` integer NOT NULL,
	`budget_micros` integer NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `alerts_by_account` ON `alerts` (`account_id`,`created_at`,`id`);--> statement-breakpoint
CREATE TABLE `approvals` (
	`id` text PRIMARY KEY NOT NULL,
	`kind` text NOT NULL,
	`account_id` text NOT NULL,
	`asset` text NOT NULL,
	`amount_micros` integer NOT NULL,
	`reason` text NOT NULL,
	`requested_by` text NOT NULL,
	`decided_by` text,
	`state` text NOT NULL,
	`created_at` integer NOT NULL,
	`decided_at` integer,
	CONSTRAINT "approvals_four_eyes" CHECK("approvals"."decided_by" is null or "approvals"."decided_by" <> "approvals"."requested_by")
);
--> statement-breakpoint
CREATE INDEX `approvals_by_time` ON `approvals` (`created_at`,`id`);--> statement-breakpoint
CREATE TABLE `deposits` (
	`id` text PRIMARY KEY NOT NULL,
	`account_id` text NOT NULL,
	`asset` text NOT NULL,
	`amount_micros` integer NOT NULL,
	`rail` text NOT NULL,
	`reference` text NOT NULL,
	`created_at` integer NOT NULL,
	CONSTRAINT "deposits_amount" CHECK("deposits"."amount_micros" > 0)
);
--> statement-breakpoint
CREATE INDEX `deposits_by_account` ON `deposits` (`account_id`,`created_at`,`id`);--> statement-breakpoint
CREATE TABLE `payouts` (
	`id` text PRIMARY KEY NOT NULL,
	`asset` text NOT NULL,
	`root` text NOT NULL,
	`count` integer NOT NULL,
	`total_micros` integer NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `tariffs` (
	`hash` text PRIMARY KEY NOT NULL,
	`version` integer NOT NULL,
	`body` text NOT NULL,
	`created_at` integer NOT NULL,
	CONSTRAINT "tariffs_body" CHECK(json_valid("tariffs"."body"))
);
--> statement-breakpoint
CREATE UNIQUE INDEX `tariffs_by_version` ON `tariffs` (`version`);--> statement-breakpoint
CREATE TABLE `withdrawals` (
	`id` text PRIMARY KEY NOT NULL,
	`account_id` text NOT NULL,
	`asset` text NOT NULL,
	`amount_micros` integer NOT NULL,
	`address` text NOT NULL,
	`state` text NOT NULL,
	`payout_id` text,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	FOREIGN KEY (`account_id`) REFERENCES `accounts`(`id`) ON UPDATE no action ON DELETE no action,
	FOREIGN KEY (`payout_id`) REFERENCES `payouts`(`id`) ON UPDATE no action ON DELETE no action,
	CONSTRAINT "withdrawals_amount" CHECK("withdrawals"."amount_micros" > 0)
);
--> statement-breakpoint
CREATE INDEX `withdrawals_by_account` ON `withdrawals` (`account_id`,`created_at`,`id`);--> statement-breakpoint
CREATE INDEX `withdrawals_by_state` ON `withdrawals` (`state`,`created_at`,`id`);--> statement-breakpoint
CREATE INDEX `withdrawals_by_payout` ON `withdrawals` (`payout_id`);--> statement-breakpoint
ALTER TABLE `accounts` ADD `limits` text;--> statement-breakpoint
PRAGMA foreign_keys=OFF;--> statement-breakpoint
CREATE TABLE `__new_api_keys` (
	`id` text PRIMARY KEY NOT NULL,
	`account_id` text NOT NULL,
	`name` text NOT NULL,
	`scopes` text DEFAULT '["inference","read-only"]' NOT NULL,
	`team_id` text,
	`project_id` text,
	`env` text NOT NULL,
	`secret_hash` text NOT NULL,
	`models` text,
	`addresses` text,
	`limits` text,
	`created_at` integer NOT NULL,
	`revoked_at` integer,
	`expires_at` integer,
	`last_used_at` integer,
	`replaces` text,
	FOREIGN KEY (`account_id`) REFERENCES `accounts`(`id`) ON UPDATE no action ON DELETE no action,
	CONSTRAINT "api_keys_scopes" CHECK(json_valid("__new_api_keys"."scopes")),
	CONSTRAINT "api_keys_id" CHECK(length("__new_api_keys"."id") = 8),
	CONSTRAINT "api_keys_secret_hash" CHECK(length("__new_api_keys"."secret_hash") = 64)
);
--> statement-breakpoint
INSERT INTO `__new_api_keys`("id", "account_id", "name", "scopes", "env", "secret_hash", "created_at", "revoked_at", "expires_at") SELECT "id", "account_id", "name", CASE "role" WHEN 'operator' THEN '["operator"]' ELSE '["inference","management","read-only"]' END, "env", "secret_hash", "created_at", "revoked_at", "expires_at" FROM `api_keys`;--> statement-breakpoint
DROP TABLE `api_keys`;--> statement-breakpoint
ALTER TABLE `__new_api_keys` RENAME TO `api_keys`;--> statement-breakpoint
PRAGMA foreign_keys=ON;--> statement-breakpoint
CREATE INDEX `api_keys_by_account` ON `api_keys` (`account_id`,`created_at`,`id`);--> statement-breakpoint
CREATE INDEX `api_keys_by_team` ON `api_keys` (`team_id`);--> statement-breakpoint
CREATE INDEX `api_keys_by_project` ON `api_keys` (`project_id`);--> statement-breakpoint
ALTER TABLE `tasks` ADD `mode` text DEFAULT 'realtime' NOT NULL;--> statement-breakpoint
ALTER TABLE `tasks` ADD `tariff` text;--> statement-breakpoint
ALTER TABLE `tasks` ADD `team_id` text;--> statement-breakpoint
ALTER TABLE `tasks` ADD `project_id` text;--> statement-breakpoint
ALTER TABLE `transfers` ADD `source` text DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE `transfers` ADD `source_seq` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `transfers` ADD `hash` text DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE `transfers` ADD `reason` text;--> statement-breakpoint
CREATE UNIQUE INDEX `transfers_by_source` ON `transfers` (`source`,`source_seq`) WHERE "transfers"."source" <> '';