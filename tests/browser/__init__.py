"""The console in a real Chromium against a real `tocsin serve`, on a desk and on a phone."""
