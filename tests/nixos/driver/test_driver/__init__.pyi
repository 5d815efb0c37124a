# The types of the NixOS test driver, as far as a test script sees them. Its build checks each script against them.
