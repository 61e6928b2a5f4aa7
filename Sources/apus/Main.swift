import Catalog
@main struct Main { static func main() { print(Catalog.builtIn.events.count) } }
