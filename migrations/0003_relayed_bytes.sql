ALTER TABLE `attempts` ADD `bytes_in` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `attempts` ADD `bytes_out` integer DEFAULT 0 NOT NULL;