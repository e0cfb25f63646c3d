"""The forms in which bars leave mdc, one file each; all take the same chunks.

Columns and their order are the same everywhere: those of `forms.COLUMNS`, and `derived` and
`complete` where bars were put together. Forms with types add `final`.
"""
