"""Any Apprise URL: the long tail of channels."""
