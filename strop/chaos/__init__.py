"""The crash campaign of `strop chaos`: commands are killed, stopped and starved of disk, and go on."""
