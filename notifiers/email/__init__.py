"""E-mail by SMTP, with the server's own reply as the proof of delivery."""
