"""The command line. One file a command group; what a command needs is imported when it runs, so that help is quick."""
