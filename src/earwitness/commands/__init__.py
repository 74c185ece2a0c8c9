"""The commands: parse, call, print. One file a command or family of commands, one name in ``cli.py``.

What is heavy is imported by the function that needs it, so that help is there at once.
"""
