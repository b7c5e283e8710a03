"""Images: read, cropped, drawn on, and searched for faces (detection/)."""
