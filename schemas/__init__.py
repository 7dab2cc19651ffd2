"""What flows through Tocsin: alerts, journal records, events, commands, configuration, wire formats. No I/O."""
