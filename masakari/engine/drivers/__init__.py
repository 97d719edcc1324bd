"""Import paths that third parties know from OpenStack's Masakari."""
