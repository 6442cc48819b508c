CREATE TABLE `book_balances` (
	`book` text NOT NULL,
	`asset` text NOT NULL,
	`balance_micros` integer NOT NULL,
	`entries` integer NOT NULL,
	PRIMARY KEY(`book`, `asset`)
);
--> statement-breakpoint
CREATE TABLE `ledger_checks` (
	`number` integer PRIMARY KEY NOT NULL,
	`through` integer NOT NULL,
	`is_whole` integer NOT NULL,
	`faults` text NOT NULL,
	`created_at` integer NOT NULL,
	CONSTRAINT "ledger_checks_faults" CHECK(json_valid("ledger_checks"."faults"))
);
