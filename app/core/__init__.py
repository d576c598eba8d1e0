"""What every layer may use: settings, errors, clock, logs."""
