"""The page for the browser: its files, how one gets in, and the routes that only it needs."""
