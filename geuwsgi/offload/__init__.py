"""What goes on when the application has said what to send: moving bytes."""
