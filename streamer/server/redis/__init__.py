"""Events in Redis Streams: several servers write them, wallboards and other systems read them."""
