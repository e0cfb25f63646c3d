"""The `mdc` command: one file per noun, loaded when it is named."""
