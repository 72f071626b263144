"""Tables of the databases of iRedAPD, Amavisd and iRedAdmin, as far as the gateways use them."""
