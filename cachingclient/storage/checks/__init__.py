"""What is checked of the bytes of others before anything touches them: sizes, types, offsets, shapes and forms.

Each module is about one kind of value and is called by its codec. Whatever does not fit raises `UnsafeError`, whose
text says what it was; nothing is mended, and nothing is believed that the bytes themselves do not bear out.
"""
