"""DingTalk robots: our own channel, and the same as a plugin that any Apprise user can take."""
