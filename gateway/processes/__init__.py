"""Several processes that are one gateway, behind one port: ``tiergate-gateway serve --processes N``.

``parent`` binds a listening socket for each, starts the store, and keeps a ``seat`` for each socket: the process that
serves it, started again when it dies. ``child`` is what such a process runs, ``assignment`` what the two say to each
other, ``sockets`` the listening sockets.
"""
